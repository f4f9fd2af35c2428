/* blas_room.h - room for products in OpenBLAS.
 *
 * Each product that runs in OpenBLAS holds one of its buffers: 128 MB of address space, mapped when
 * it is first needed and kept for good. Their table is the process's and has two places for each
 * thread that OpenBLAS was built for. When the system gives no address space OpenBLAS tries again
 * for ever, and when its table is full it prints, and crashes later on. So contexts have the
 * buffers mapped when they are made, and no more products enter than there are buffers: others
 * wait, as they would for a core. The counts of that are the process's too, and the library's only
 * state that changes and belongs to no context. With another BLAS all of this does nothing. */
#ifndef GM_KERNELS_BLAS_ROOM_H
#define GM_KERNELS_BLAS_ROOM_H

#include <stdint.h>

/* Room for `threads` more products at once. 0: the system has no address space for them and they
 * find none among the buffers that there are; *megabytes: how much was asked for. Where some have
 * room the others take turns. Returned with gm_blas_give_room. */
int gm_blas_take_room(int32_t threads, int64_t *megabytes);
void gm_blas_give_room(int32_t threads);

/* Around each product. */
void gm_blas_enter(void);
void gm_blas_leave(void);

#endif
