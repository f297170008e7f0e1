// Batch norm (autograd/norm.py), on x as a matrix of rows and c channels.
//
// A sum over the rows goes in steps: first over parts of CHUNK rows, a thread each, then over JOIN
// parts, and again until one is left. The order is always the same.
// launcher.py defines these numbers.

// mean, var: (parts, c), the moments of CHUNK rows each. A thread is one part of one channel: it
// holds HELD rows at a time, whose squares about their mean join those about the mean so far.
extern "C" __global__ void chunk_moments(
    int threads, const float* __restrict__ x, float* __restrict__ mean, float* __restrict__ var,
    int rows, int c) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int first = at / c * CHUNK, n = min(CHUNK, rows - first);
  const float* from = x + (size_t)first * c + at % c;

  float sum = 0, squares = 0;
#pragma unroll 1
  for (int before = 0; before < n; before += HELD) {
    const int held = min(HELD, n - before);
    float values[HELD], own = 0;
#pragma unroll
    for (int r = 0; r < HELD; ++r) {
      values[r] = r < held ? from[(size_t)(before + r) * c] : 0;
      own += values[r];
    }
    const float centre = own / held;
#pragma unroll
    for (int r = 0; r < HELD; ++r) {
      const float d = r < held ? values[r] - centre : 0;
      squares += d * d;
    }
    const float d = before ? centre - sum / before : 0;
    squares += d * d * before * held / (before + held);
    sum += own;
  }
  mean[at] = sum / n;
  var[at] = squares / n;
}

// The moments of JOIN parts from theirs: mean = sum n_i mean_i / n,
// var = sum n_i (var_i + (mean_i - mean)^2) / n. size: the rows of a part; the last may have less.
extern "C" __global__ void join_moments(
    int threads, const float* __restrict__ means, const float* __restrict__ vars,
    float* __restrict__ mean, float* __restrict__ var, int parts, int size, int rows, int c) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = at % c, first = at / c * JOIN, last = min(parts, first + JOIN);

  int n = 0;
  float sum = 0, squares = 0;
#pragma unroll 16
  for (int i = first; i < last; ++i) {
    const int n_i = min(size, rows - i * size);
    sum += n_i * means[(size_t)i * c + k];
    n += n_i;
  }
  const float centre = sum / n;
#pragma unroll 16
  for (int i = first; i < last; ++i) {
    const int n_i = min(size, rows - i * size);
    const float d = means[(size_t)i * c + k] - centre;
    squares += n_i * (vars[(size_t)i * c + k] + d * d);
  }
  mean[at] = centre;
  var[at] = squares / n;
}

// g = 0 where y <= 0, else gy: so a NaN stays one. y: what a ReLU gave, null without one.
__device__ inline float behind_relu(const float* gy, const float* y, size_t i) {
  return y && y[i] <= 0 ? 0 : gy[i];
}

// sums: (parts, 2, c), sum g and sum g (x - mean) of CHUNK rows each.
extern "C" __global__ void chunk_sums(
    int threads, const float* __restrict__ gy, const float* __restrict__ y,
    const float* __restrict__ x, const float* __restrict__ mean, float* __restrict__ sums,
    int rows, int c) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = at % c, part = at / c, first = part * CHUNK, n = min(CHUNK, rows - first);
  const size_t from = (size_t)first * c + k;

  float sum = 0, product = 0;
#pragma unroll 8
  for (int r = 0; r < n; ++r) {
    const size_t i = from + (size_t)r * c;
    const float g = behind_relu(gy, y, i);
    sum += g;
    product += g * (x[i] - mean[k]);
  }
  sums[(size_t)part * 2 * c + k] = sum;
  sums[((size_t)part * 2 + 1) * c + k] = product;
}

// The sums of JOIN rows of a matrix of `parts` rows and c columns.
extern "C" __global__ void join_sums(
    int threads, const float* __restrict__ sums, float* __restrict__ joined, int parts, int c) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = at % c, first = at / c * JOIN, last = min(parts, first + JOIN);
  float sum = 0;
#pragma unroll 16
  for (int i = first; i < last; ++i) sum += sums[(size_t)i * c + k];
  joined[at] = sum;
}

// Of weights times a gate (autograd/conv/convolution.py), from the gradient of the product: that of
// the weights, and the sums over CHUNK rows of what is the gate's: (parts, c).
extern "C" __global__ void gate_pullback(
    int threads, const float* __restrict__ ggated, const float* __restrict__ weight,
    const float* __restrict__ gate, float* __restrict__ gweight, float* __restrict__ sums,
    int rows, int c) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = at % c, first = at / c * CHUNK, n = min(CHUNK, rows - first);
  const size_t from = (size_t)first * c + k;
  const float z = gate[k];

  float sum = 0;
#pragma unroll 8
  for (int r = 0; r < n; ++r) {
    const size_t i = from + (size_t)r * c;
    gweight[i] = ggated[i] * z;
    sum += ggated[i] * weight[i];
  }
  sums[at] = sum;
}

// y = max(least, k (x - mean) + b).
extern "C" __global__ void normalise(
    int threads, const float* __restrict__ x, const float* __restrict__ mean,
    const float* __restrict__ k, const float* __restrict__ b, float least, float* __restrict__ y,
    int c) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int channel = at % c;
  const float value = k[channel] * (x[at] - mean[channel]) + b[channel];
  y[at] = value < least ? least : value;  // NaN stays NaN
}

// The same of a batch: k = z gamma / s, b = z beta. Besides, the first c threads, one for each
// channel, keep s and k and move the running statistics. gate: z, or null.
extern "C" __global__ void normalise_batch(
    int threads, const float* __restrict__ x, const float* __restrict__ mean,
    const float* __restrict__ var, const float* __restrict__ gamma,
    const float* __restrict__ beta, const float* __restrict__ gate,
    float* __restrict__ running_mean, float* __restrict__ running_var, float* __restrict__ y,
    float* __restrict__ kept_s, float* __restrict__ kept_k, int c, float unbiased, float old,
    float momentum, float eps, float least) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int channel = at % c;
  const float z = gate ? gate[channel] : 1, s = sqrtf(var[channel] + eps);
  const float k = gamma[channel] * z / s;
  const float value = k * (x[at] - mean[channel]) + beta[channel] * z;
  y[at] = value < least ? least : value;
  if (at < c) {
    kept_s[at] = s;
    kept_k[at] = k;
    running_mean[at] = old * running_mean[at] + momentum * mean[at];
    running_var[at] = old * running_var[at] + momentum * (var[at] * unbiased);
  }
}

// gx = k (g - shift - slope (x - mean)); the first c threads give the gradients of a channel.
// sums: (2, c). share: 1 / m.
extern "C" __global__ void normalise_pullback(
    int threads, const float* __restrict__ gy, const float* __restrict__ y,
    const float* __restrict__ x, const float* __restrict__ sums, const float* __restrict__ mean,
    const float* __restrict__ s, const float* __restrict__ k, const float* __restrict__ gamma,
    const float* __restrict__ beta, const float* __restrict__ gate, float* __restrict__ gx,
    float* __restrict__ kept_ggamma, float* __restrict__ kept_gbeta,
    float* __restrict__ kept_ggate, int c, float share) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int channel = at % c;
  const float gbeta = sums[channel], ggamma = sums[c + channel] / s[channel];
  const float shift = gbeta * share, slope = ggamma / s[channel] * share;
  const float g = behind_relu(gy, y, at);
  gx[at] = k[channel] * (g - shift - slope * (x[at] - mean[channel]));
  if (at < c) {
    const float z = gate ? gate[at] : 1;
    kept_ggamma[at] = ggamma * z;
    kept_gbeta[at] = gbeta * z;
    if (gate) kept_ggate[at] = ggamma * gamma[at] + gbeta * beta[at];
  }
}
