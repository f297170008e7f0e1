// What the kernels need of CUDA, on a CPU: the threads of a grid, one after the other.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#define __global__
#define __device__

using std::min;

// CuPy compiles with -ftz=true: denormal numbers are zeros, as they come and as they go.
struct Flushing {
#ifdef __SSE__
  const unsigned before = _mm_getcsr();
  Flushing() { _mm_setcsr(before | 0x8040); }
  ~Flushing() { _mm_setcsr(before); }
#else
  Flushing() {}
#endif
};

struct Position {
  unsigned x;
};
static Position blockIdx, threadIdx, blockDim;

template <class... A, size_t... I>
void run(void (*kernel)(A...), unsigned blocks, unsigned threads, bool is_backward,
         void** arguments, std::index_sequence<I...>) {
  blockDim.x = threads;
  const Flushing flushing;
  const size_t total = (size_t)blocks * threads;
  for (size_t t = 0; t < total; ++t) {
    const size_t at = is_backward ? total - 1 - t : t;
    blockIdx.x = at / threads;
    threadIdx.x = at % threads;
    kernel(*static_cast<A*>(arguments[I])...);
  }
}

template <class... A>
void launch(void (*kernel)(A...), unsigned blocks, unsigned threads, bool is_backward,
            void** arguments) {
  run(kernel, blocks, threads, is_backward, arguments, std::index_sequence_for<A...>());
}

// A letter for each argument: p for an address, i for an integer, f for a float, s for a structure.
template <class T>
constexpr char letter = std::is_pointer_v<T>     ? 'p'
                        : std::is_same_v<T, int> ? 'i'
                        : std::is_class_v<T>     ? 's'
                                                 : 'f';

template <class... A>
const char* letters(void (*)(A...)) {
  static const char text[] = {letter<A>..., 0};
  return text;
}

#define EXPORT(kernel)                                                               \
  extern "C" const char* kernel##_letters() { return letters(kernel); }              \
  extern "C" void kernel##_launch(unsigned blocks, unsigned threads, bool backwards, \
                                  void** arguments) {                                \
    launch(kernel, blocks, threads, backwards, arguments);                           \
  }
