#pragma once

#include <GL/osmesa.h>
#include <math.h>
#include <mujoco/mujoco.h>
#include <stdlib.h>
#include <string.h>

// mjVFS holds arrays that are too large for Swift's importer, so loading from memory lives here.
// Returns null and a message in `error` when the text is no valid model.
static inline mjModel *_Nullable groot_load_model(const void *_Nonnull xml, int size, char *_Nonnull error, int error_size) {
    mjVFS *vfs = (mjVFS *)malloc(sizeof(mjVFS));
    if (!vfs) return NULL;
    mj_defaultVFS(vfs);
    mjModel *model = NULL;
    if (mj_makeEmptyFileVFS(vfs, "cell.xml", size) == 0) {
        memcpy(vfs->filedata[mj_findFileVFS(vfs, "cell.xml")], xml, (size_t)size);
        model = mj_loadXML("cell.xml", vfs, error, error_size);
    }
    mj_deleteVFS(vfs);
    free(vfs);
    return model;
}

// The compiled fields that a scene varies, as plain pointers.
static inline void groot_set_rgba(mjModel *_Nonnull m, int geom, float r, float g, float b) {
    m->geom_rgba[4 * geom] = r;
    m->geom_rgba[4 * geom + 1] = g;
    m->geom_rgba[4 * geom + 2] = b;
}

static inline void groot_scale_material(mjModel *_Nonnull m, int material, float factor) {
    for (int i = 0; i < 3; i++) {
        float value = m->mat_rgba[4 * material + i] * factor;
        m->mat_rgba[4 * material + i] = value > 1 ? 1 : value;
    }
}

static inline void groot_set_body_mass(mjModel *_Nonnull m, int body, double mass) {
    double factor = mass / m->body_mass[body];
    m->body_mass[body] = mass;
    for (int i = 0; i < 3; i++) m->body_inertia[3 * body + i] *= factor;
}

static inline void groot_set_light(mjModel *_Nonnull m, int light, double x, double y, float diffuse) {
    double direction[3] = {x, y, -1};
    mju_normalize3(direction);
    for (int i = 0; i < 3; i++) {
        m->light_dir[3 * light + i] = direction[i];
        m->light_diffuse[3 * light + i] = diffuse;
    }
}

static inline void groot_set_headlight(mjModel *_Nonnull m, float ambient, float diffuse) {
    for (int i = 0; i < 3; i++) {
        m->vis.headlight.ambient[i] = ambient;
        m->vis.headlight.diffuse[i] = diffuse;
    }
}

// One step of physics with the gravity and Coriolis forces of the given degrees of freedom cancelled.
static inline void groot_step(const mjModel *_Nonnull m, mjData *_Nonnull d, const int *_Nonnull dofs, int count) {
    mj_step1(m, d);
    for (int i = 0; i < count; i++) d->qfrc_applied[dofs[i]] = d->qfrc_bias[dofs[i]];
    mj_step2(m, d);
}

// Drops the geoms that the scene's camera cannot see; MuJoCo draws all of them, and software pays for every vertex.
// A geom goes when its bounding sphere lies outside of one side of the view pyramid; unbounded ones stay.
static inline void groot_drop_unseen(const mjModel *_Nonnull m, mjvScene *_Nonnull scene, float aspect) {
    // Two eyes: the pyramid from their middle, with the distance between them as margin.
    const mjvGLCamera *left = &scene->camera[0], *rightEye = &scene->camera[1];
    const float *f = left->forward, *u = left->up;
    float right[3] = {f[1] * u[2] - f[2] * u[1], f[2] * u[0] - f[0] * u[2], f[0] * u[1] - f[1] * u[0]};
    float eye[3], apart = 0;
    for (int i = 0; i < 3; i++) {
        eye[i] = (left->pos[i] + rightEye->pos[i]) / 2;
        apart += fabsf(left->pos[i] - rightEye->pos[i]);
    }
    float slopeY = left->frustum_top / left->frustum_near, slopeX = slopeY * aspect;
    float normX = 1 / sqrtf(1 + slopeX * slopeX), normY = 1 / sqrtf(1 + slopeY * slopeY);
    int kept = 0;
    for (int i = 0; i < scene->ngeom; i++) {
        const mjvGeom *geom = &scene->geoms[i];
        float radius = geom->objtype == mjOBJ_GEOM ? (float)m->geom_rbound[geom->objid] : 0;
        if (radius > 0) {
            radius = radius * 1.01f + apart;
            float x = 0, y = 0, z = 0;
            for (int k = 0; k < 3; k++) {
                float away = geom->pos[k] - eye[k];
                x += away * right[k];
                y += away * u[k];
                z += away * f[k];
            }
            if (z < -radius || (fabsf(x) - z * slopeX) * normX > radius || (fabsf(y) - z * slopeY) * normY > radius)
                continue;
        }
        if (kept != i) scene->geoms[kept] = *geom;
        kept++;
    }
    scene->ngeom = kept;
}

static inline OSMesaContext _Nullable groot_make_mesa(void) {
    return OSMesaCreateContextExt(OSMESA_RGBA, 24, 8, 8, NULL);
}

static inline int groot_make_current(OSMesaContext _Nonnull context, void *_Nonnull buffer, int width, int height) {
    return OSMesaMakeCurrent(context, buffer, GL_UNSIGNED_BYTE, width, height);
}
