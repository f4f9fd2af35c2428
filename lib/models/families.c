/* families.c - the one list of families: loading, and every test that is for all of them, reads it.
 */
#include <string.h>

#include "models/family.h"

const gm_family *const gm_families[] = {
    &gm_family_generator, &gm_family_vae,
    &gm_family_gan,       &gm_family_autoencoder,
    &gm_family_gmmn,      &gm_family_linear_ar,
    &gm_family_neural_ar, &gm_family_made,
    &gm_family_nade,      &gm_family_pixelcnn,
    &gm_family_sbn,       &gm_family_rbm,
    &gm_family_dbn,       NULL,
};

const gm_family *gm_family_find(const char *name)
{
    for (const gm_family *const *f = gm_families; *f; f++)
        if (!strcmp((*f)->name, name)) return *f;
    return NULL;
}
