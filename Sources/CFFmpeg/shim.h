#pragma once
#include <errno.h>
#include <stdint.h>
#include <libavformat/avformat.h>
#include <libavcodec/avcodec.h>
#include <libavutil/avutil.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>

// Macros Swift cannot see.
static const int64_t shim_av_no_timestamp = AV_NOPTS_VALUE;
enum {
    shim_av_input_padding = AV_INPUT_BUFFER_PADDING_SIZE,
    shim_av_error_end_of_file = AVERROR_EOF,
};
/// The errno inside a libav error, or 0 when it is libav's own.
static inline int shim_av_errno(int error) {
    int code = AVUNERROR(error);
    return code > 0 && code < 4096 ? code : 0;
}
static inline int shim_av_error_text(int error, char *text, size_t size) { return av_strerror(error, text, size); }
/// 2 channels and so on; libav's layout struct has a union Swift need not touch.
static inline void shim_av_set_channels(AVCodecParameters *parameters, int channels) {
    av_channel_layout_default(&parameters->ch_layout, channels);
}
