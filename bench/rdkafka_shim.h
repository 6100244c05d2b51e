// What Debian's copy of rdkafka_performance.c takes from the inside of librdkafka, written anew, so the
// program builds from the package alone; bench/kafka_clients.sh includes this first. No state, no threads.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int64_t rd_ts_t;  // microseconds

#define rd_snprintf snprintf
#define RD_MIN(a, b) ((a) < (b) ? (a) : (b))
#define RD_MAX(a, b) ((a) > (b) ? (a) : (b))

static inline rd_ts_t rd_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (rd_ts_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
