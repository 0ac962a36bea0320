#include <GL/osmesa.h>
#include <mujoco/mujoco.h>
