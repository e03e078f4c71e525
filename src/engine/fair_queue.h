// FairQueue: what waits, by whom: users take turns, and each user's things come in their order.
#pragma once

#include <cstddef>
#include <deque>
#include <list>
#include <string>
#include <utility>
#include <vector>

namespace carat {

template <typename T>
class FairQueue {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  void push(const std::string& user, T thing) {
    for (Line& line : lines_) {
      if (line.user != user) continue;
      line.things.push_back(std::move(thing));
      ++size_;
      return;
    }
    Line line{user, {}};  // whole before it stands among the others, also where memory runs out
    line.things.push_back(std::move(thing));
    lines_.push_back(std::move(line));
    ++size_;
  }

  // The next one: of the user whose turn it is. Not empty.
  const T& front() const { return lines_.front().things.front(); }
  T pop() {
    Line& line = lines_.front();
    T thing = std::move(line.things.front());
    line.things.pop_front();
    --size_;
    if (line.things.empty()) {
      lines_.pop_front();
    } else {
      lines_.splice(lines_.end(), lines_, lines_.begin());
    }
    return thing;
  }

  // Takes out all for which is_unwanted says so.
  template <typename Predicate>
  std::vector<T> remove_if(const Predicate& is_unwanted) {
    std::vector<T> removed;
    removed.reserve(size_);  // so that nothing throws once things move
    for (Line& line : lines_) {
      std::erase_if(line.things, [&](T& thing) {
        if (!is_unwanted(thing)) return false;
        removed.push_back(std::move(thing));
        return true;
      });
    }
    std::erase_if(lines_, [](const Line& line) { return line.things.empty(); });
    size_ -= removed.size();
    return removed;
  }

 private:
  struct Line {
    std::string user;
    std::deque<T> things;
  };
  std::list<Line> lines_;  // in the order of their turns; none is empty
  std::size_t size_ = 0;
};

}  // namespace carat
