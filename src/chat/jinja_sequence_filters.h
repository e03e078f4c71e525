// The filters over sequences; jinja_filters.cpp lists all filters by name.
#pragma once

#include "chat/jinja_value.h"

namespace carat::jinja {

Value filter_batch(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_dictsort(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_first(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_groupby(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_items(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_join(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_last(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_list(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_map(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_max(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_min(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_reject(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_rejectattr(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_reverse(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_select(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_selectattr(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_slice(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_sort(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_sum(Runtime& rt, const Value& input, const Arguments& arguments);
Value filter_unique(Runtime& rt, const Value& input, const Arguments& arguments);

}  // namespace carat::jinja
