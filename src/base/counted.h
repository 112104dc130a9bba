// An object that carries its own count of references: half of a shared_ptr's size, and no block beside the
// object.
//
// The object is immutable and ends with its last reference. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace tidewire {

// A member `references` of what is shared. A copy of the object is another one, which nobody shares yet.
class ReferenceCount {
 public:
  ReferenceCount() = default;
  ReferenceCount(const ReferenceCount&) {}
  ReferenceCount& operator=(const ReferenceCount&) { return *this; }

 private:
  template <class>
  friend class CountedPtr;
  mutable std::atomic<std::uint32_t> count_{0};
};

template <class T>
class CountedPtr {
 public:
  CountedPtr() = default;
  CountedPtr(std::nullptr_t) {}
  template <class... Args>
  static CountedPtr make(Args&&... args) {
    return CountedPtr(new T(std::forward<Args>(args)...));
  }
  CountedPtr(const CountedPtr& other) : CountedPtr(other.object_) {}
  CountedPtr(CountedPtr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  CountedPtr& operator=(CountedPtr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~CountedPtr() {
    if (object_ && object_->references.count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete object_;
  }

  const T* get() const { return object_; }
  const T& operator*() const { return *object_; }
  const T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  friend bool operator==(const CountedPtr&, const CountedPtr&) = default;
  friend bool operator==(const CountedPtr& pointer, std::nullptr_t) { return pointer.object_ == nullptr; }

 private:
  explicit CountedPtr(const T* object) : object_(object) {
    if (object_) object_->references.count_.fetch_add(1, std::memory_order_relaxed);
  }
  const T* object_ = nullptr;
};

}  // namespace tidewire
