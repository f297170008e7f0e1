// Gates, (c) numbers each (autograd/gates.py, nn/networks/live.py). A thread is a channel.

__device__ float logistic_of(float x) {
  const float t = expf(-fabsf(x));
  return (x >= 0 ? 1 : t) / (1 + t);
}

extern "C" __global__ void logistic(
    int threads, const float* __restrict__ x, float* __restrict__ y) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at < threads) y[at] = logistic_of(x[at]);
}

// z, s: (c). epsilon: (c), or (1) with step = 0.
extern "C" __global__ void concrete(
    int threads, const float* __restrict__ log_alpha, const float* __restrict__ epsilon,
    float* __restrict__ z, float* __restrict__ s, int step, float one_beta, float width,
    float least) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const float e = epsilon[at * step];
  s[at] = logistic_of((logf(e) - log1pf(-e) + log_alpha[at]) * one_beta);
  const float stretched = s[at] * width + least;
  z[at] = stretched < 0 ? 0 : stretched > 1 ? 1 : stretched;
}

extern "C" __global__ void concrete_pullback(
    int threads, const float* __restrict__ gz, const float* __restrict__ z,
    const float* __restrict__ s, float* __restrict__ gx, float slope) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const float g = z[at] <= 0 || z[at] >= 1 ? 0 : gz[at];
  gx[at] = g * slope * s[at] * (1 - s[at]);
}

// y = x, but in each slice the highest, the first of equal ones, is at least floor. As for NumPy's
// argmax, a NaN is the highest. A thread looks through its own slice, a few kB.
struct Slices {
  int first[SLICES], last[SLICES];
};

extern "C" __global__ void raised(
    int threads, const float* __restrict__ x, float* __restrict__ y, const Slices all, int count,
    float floor) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  int k = 0;
  while (k < count && !(all.first[k] <= at && at < all.last[k])) ++k;
  y[at] = x[at];
  if (k == count || !(x[at] < floor)) return;
  for (int i = all.first[k]; i < all.last[k]; ++i)
    if (i != at && !(i < at ? x[i] < x[at] : x[i] <= x[at])) return;
  y[at] = floor;
}

// Which channels of a residual signal exist.

// y: (1), 1 if any z > 0, else 0. z is a few kB: one thread reads it.
extern "C" __global__ void any_open(
    int threads, const float* __restrict__ z, float* __restrict__ y, int c) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  int found = 0;
  for (int k = 0; k < c; ++k) found |= z[k] > 0;
  y[at] = found;
}

// y: (c), live or written by z2, which counts if any of z1, (inner), is open. A thread is a channel.
extern "C" __global__ void hard_after(
    int threads, const float* __restrict__ live, const float* __restrict__ z1,
    const float* __restrict__ z2, float* __restrict__ y, int inner) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  int reached = 0;
  for (int k = 0; k < inner; ++k) reached |= z1[k] > 0;
  y[at] = live[at] + (1 - live[at]) * (reached && z2[at] > 0);
}
