#include "libraries.h"

/* clang-format off */
#define SDL_FUNCTIONS(F) \
    F(SDL_CloseAudioDevice) F(SDL_ConvertPixels) F(SDL_CreateWindow) F(SDL_DestroyWindow) \
    F(SDL_EventState) F(SDL_FillRect) F(SDL_GetClipboardText) F(SDL_GetCurrentDisplayMode) \
    F(SDL_GetCurrentVideoDriver) F(SDL_GetDisplayUsableBounds) F(SDL_GetError) F(SDL_GetQueuedAudioSize) \
    F(SDL_GetWindowBordersSize) F(SDL_GetWindowDisplayIndex) F(SDL_GetWindowFlags) F(SDL_GetWindowSize) \
    F(SDL_GetWindowSurface) F(SDL_HasClipboardText) F(SDL_InitSubSystem) F(SDL_OpenAudioDevice) \
    F(SDL_PauseAudioDevice) F(SDL_PollEvent) F(SDL_PushEvent) F(SDL_QueueAudio) F(SDL_QuitSubSystem) \
    F(SDL_RegisterEvents) F(SDL_SetClipboardText) F(SDL_SetError) F(SDL_SetHint) \
    F(SDL_SetRelativeMouseMode) F(SDL_SetWindowFullscreen) F(SDL_SetWindowKeyboardGrab) \
    F(SDL_SetWindowSize) F(SDL_SetWindowTitle) F(SDL_ShowCursor) F(SDL_StopTextInput) \
    F(SDL_UpdateWindowSurface) F(SDL_UpdateWindowSurfaceRects) F(SDL_WaitEvent) F(SDL_WaitEventTimeout) \
    F(SDL_free)

#define VNC_FUNCTIONS(F) \
    F(rfbCheckFds) F(rfbCheckPasswordByList) F(rfbClientConnectionGone) F(rfbCloseClient) \
    F(rfbGetScreen) F(rfbInitServerWithPthreadsAndZRLE) F(rfbMarkRectAsModified) F(rfbNewFramebuffer) \
    F(rfbReadExact) F(rfbRegisterProtocolExtension) F(rfbScreenCleanup) F(rfbSendServerCutTextUTF8) \
    F(rfbShutdownServer) F(rfbUnregisterProtocolExtension) F(rfbUpdateClient) F(rfbWriteExact) \
    F(sraRgnAnd) F(sraRgnCreateRect) F(sraRgnDestroy)
/* clang-format on */

LIBRARY(sdl_library, SDL_LIBRARY, SDL_FUNCTIONS)
LIBRARY(vnc_library, VNC_LIBRARY, VNC_FUNCTIONS)
