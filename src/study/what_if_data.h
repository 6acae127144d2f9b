/*
 * Addresses of the what-if experiment's kernel and of its data: the areas of study/native.h. Assembly includes this
 * file too.
 */
#ifndef RINGER_STUDY_WHAT_IF_DATA_H
#define RINGER_STUDY_WHAT_IF_DATA_H

#define WHAT_IF_CODE  0x200000
#define WHAT_IF_DATA  0x300000
#define WHAT_IF_STACK 0x302000

#endif
