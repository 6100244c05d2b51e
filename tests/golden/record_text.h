// A batch as text, a line for its header and one for each record: the format of tests/golden/*.txt, described
// in record_text.py.
#pragma once

#include <string>

#include "protocol/core/record_batch_builder.h"

namespace headrace::testing {

// Base offset, leader epoch, attributes, base and max timestamp, producer id, epoch and sequence, records.
std::string HeaderText(const RecordBatchView& batch);
// Offset, timestamp, key, value, headers.
std::string RecordText(const RecordView& record);

}  // namespace headrace::testing
