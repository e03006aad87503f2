#pragma once
#include <errno.h>
#include <stdint.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavcodec/avcodec.h>
#include <libavutil/avutil.h>
#include <libavutil/channel_layout.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/sha.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

// Macros Swift cannot see.
static const int64_t shim_av_no_timestamp = AV_NOPTS_VALUE;
enum {
    shim_av_input_padding = AV_INPUT_BUFFER_PADDING_SIZE,
    shim_av_error_end_of_file = AVERROR_EOF,
    shim_av_error_again = AVERROR(EAGAIN),
    shim_av_error_no_memory = AVERROR(ENOMEM),
};
/// The errno inside a libav error, or 0 when it is libav's own.
static inline int shim_av_errno(int error) {
    int code = AVUNERROR(error);
    return code > 0 && code < 4096 ? code : 0;
}
static inline int shim_av_error_text(int error, char *text, size_t size) { return av_strerror(error, text, size); }
