// Lists of arrays, whose addresses are a kernel's argument: at most 4 KB for all arguments. `end`
// counts the threads up to an array and with it. A thread is one number of one array.

// The first of `count` arrays that ends behind the thread `at`.
__device__ int array_of(const int* end, int count, int at) {
  int k = 0, last = count - 1;
  while (k < last) {
    const int middle = (k + last) / 2;
    if (at < end[middle]) last = middle;
    else k = middle + 1;
  }
  return k;
}

// y: the arrays one behind the other (autograd/shaping.py).
struct Arrays {
  const float* from[ARRAYS];
  int end[ARRAYS];
};
static_assert(sizeof(Arrays) <= 4096 - 8 * 4);

extern "C" __global__ void end_to_end(int threads, const Arrays all, int count, float* __restrict__ y) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = array_of(all.end, count, at);
  y[at] = all.from[k][k ? at - all.end[k - 1] : at];
}

// Adam (nn/optim.py): w, m and v in place. Rate and scale follow from a parameter's own t.
struct Parameters {
  float *w[PARAMETERS], *m[PARAMETERS], *v[PARAMETERS];
  const float* grad[PARAMETERS];
  int end[PARAMETERS];
  float rate[PARAMETERS], scale[PARAMETERS];
};
static_assert(sizeof(Parameters) <= 4096 - 8 * 4);

extern "C" __global__ void adam_step(
    int threads, const Parameters all, int count, float old1, float new1, float old2, float new2,
    float decay, float eps) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = array_of(all.end, count, at);
  const int i = k ? at - all.end[k - 1] : at;

  const float w = all.w[k][i], grad = all.grad[k][i] + decay * w;
  const float m = old1 * all.m[k][i] + new1 * grad;
  const float v = old2 * all.v[k][i] + new2 * (grad * grad);
  all.m[k][i] = m;
  all.v[k][i] = v;
  all.w[k][i] = w - all.rate[k] * m / (sqrtf(v) * all.scale[k] + eps);
}
