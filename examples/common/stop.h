/* stop.h - Ctrl-C, and SIGTERM, ask for a stop between two steps instead of ending the program.
 *
 *     stop_install();
 *     ... in the progress callback of fit:  return stop_requested();
 *
 * The first SIGINT or SIGTERM only sets a flag; fit then ends with GM_E_CANCELLED and the model is
 * intact. The second one ends the program in the usual way. A job that a script put into the
 * background, which starts with SIGINT ignored, can be stopped in the same way.
 */
#ifndef EXAMPLES_STOP_H
#define EXAMPLES_STOP_H

/* Installs the handlers. Returns 0, or -1 (reported on stderr) if the system refuses. */
int stop_install(void);

/* 1 after the first SIGINT or SIGTERM, else 0. */
int stop_requested(void);

#endif
