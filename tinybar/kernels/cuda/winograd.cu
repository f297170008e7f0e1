// Winograd's transforms (autograd/conv/winograd.py). A thread is one tile of one channel, or one kernel.
//
// A square of numbers passes through a thread: first all columns, then all rows.

__device__ inline void b_t(const float d[6], float v[6]) {  // v = B^T d
  v[0] = 4 * d[0] - 5 * d[2] + d[4];
  v[1] = (d[3] + d[4]) - 4 * (d[1] + d[2]);
  v[2] = (d[4] - d[3]) + 4 * (d[1] - d[2]);
  v[3] = 2 * (d[3] - d[1]) + (d[4] - d[2]);
  v[4] = 2 * (d[1] - d[3]) + (d[4] - d[2]);
  v[5] = 4 * d[1] - 5 * d[3] + d[5];
}

__device__ inline void b(const float v[6], float d[6]) {  // d = B v
  d[0] = 4 * v[0];
  d[1] = 4 * (v[2] - v[1] + v[5]) + 2 * (v[4] - v[3]);
  d[2] = -5 * v[0] - 4 * (v[1] + v[2]) - (v[3] + v[4]);
  d[3] = (v[1] - v[2]) + 2 * (v[3] - v[4]) - 5 * v[5];
  d[4] = v[0] + (v[1] + v[2]) + (v[3] + v[4]);
  d[5] = v[5];
}

constexpr float QUARTER = 1.0f / 4, SIXTH = 1.0f / 6, TWELFTH = 1.0f / 12, TWENTYFOURTH = 1.0f / 24;

__device__ inline void g(const float w[3], float u[6]) {  // u = G w
  const float even = SIXTH * (w[0] + w[2]), far_even = TWENTYFOURTH * w[0] + SIXTH * w[2];
  u[0] = QUARTER * w[0];
  u[1] = -even - SIXTH * w[1];
  u[2] = -even + SIXTH * w[1];
  u[3] = far_even + TWELFTH * w[1];
  u[4] = far_even - TWELFTH * w[1];
  u[5] = w[2];
}

__device__ inline void g_t(const float u[6], float w[3]) {  // w = G^T u
  const float even = u[1] + u[2], far_even = u[3] + u[4];
  w[0] = QUARTER * u[0] - SIXTH * even + TWENTYFOURTH * far_even;
  w[1] = SIXTH * (u[2] - u[1]) + TWELFTH * (u[3] - u[4]);
  w[2] = SIXTH * (far_even - even) + u[5];
}

__device__ inline void a_t(const float m[6], float y[4]) {  // y = A^T m
  const float even = m[1] + m[2], odd = m[1] - m[2];
  const float far_even = m[3] + m[4], far_odd = m[3] - m[4];
  y[0] = m[0] + even + far_even;
  y[1] = odd + 2 * far_odd;
  y[2] = even + 4 * far_even;
  y[3] = odd + 8 * far_odd + m[5];
}

__device__ inline void a(const float y[4], float m[6]) {  // m = A y
  const float even = y[0] + y[2], odd = y[1] + y[3];
  const float far_even = y[0] + 4 * y[2], far_odd = 2 * y[1] + 8 * y[3];
  m[0] = y[0];
  m[1] = even + odd;
  m[2] = even - odd;
  m[3] = far_even + far_odd;
  m[4] = far_even - far_odd;
  m[5] = y[3];
}

// v: (36, tiles, c) of images x: (n, h, w, c).
extern "C" __global__ void input_transform(
    int threads, const float* __restrict__ x, float* __restrict__ v,
    int h, int w, int c, int ph, int pw, int th, int tw) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = at % c, tile = at / c;
  const int top = 4 * (tile / tw % th) - ph, left = 4 * (tile % tw) - pw;
  const float* image = x + (size_t)(tile / tw / th) * h * w * c + k;

  float t[6][6];
#pragma unroll
  for (int j = 0; j < 6; ++j) {
    float d[6], column[6];
#pragma unroll
    for (int i = 0; i < 6; ++i) {
      const int row = top + i, pixel = left + j;
      const bool is_inside = 0 <= row && row < h && 0 <= pixel && pixel < w;
      d[i] = is_inside ? image[((size_t)row * w + pixel) * c] : 0;
    }
    b_t(d, column);
#pragma unroll
    for (int i = 0; i < 6; ++i) t[i][j] = column[i];
  }
#pragma unroll
  for (int i = 0; i < 6; ++i) {
    float line[6];
    b_t(t[i], line);
#pragma unroll
    for (int j = 0; j < 6; ++j) v[(size_t)(6 * i + j) * threads + at] = line[j];
  }
}

// Adds what a tile's gradient gives to the pixels of a 4x4 block: from its rows FIRST_ROW on and
// its columns FIRST_COLUMN on, as far as both reach. gv: of the tile and channel.
template <int FIRST_ROW, int FIRST_COLUMN>
__device__ inline void add_tile(const float* __restrict__ gv, size_t step, float block[4][4]) {
  constexpr int rows = FIRST_ROW ? 2 : 4, columns = FIRST_COLUMN ? 2 : 4;
  float t[4][6];
#pragma unroll
  for (int j = 0; j < 6; ++j) {
    float v[6], d[6];
#pragma unroll
    for (int i = 0; i < 6; ++i) v[i] = gv[(6 * i + j) * step];
    b(v, d);
#pragma unroll
    for (int i = 0; i < rows; ++i) t[i][j] = d[FIRST_ROW + i];
  }
#pragma unroll
  for (int i = 0; i < rows; ++i) {
    float d[6];
    b(t[i], d);
#pragma unroll
    for (int j = 0; j < columns; ++j) block[i][j] += d[FIRST_COLUMN + j];
  }
}

// gx: (n, h, w, c) of gv: (36, tiles, c). A tile reads 6x6 pixels and the next begins 4 further on:
// a thread is a 4x4 block of the padded image, one channel, and collects from the up to four tiles
// that read it. Blocks are a row and a column more than tiles.
extern "C" __global__ void input_transform_pullback(
    int threads, const float* __restrict__ gv, float* __restrict__ gx,
    int n, int h, int w, int c, int ph, int pw, int th, int tw) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = at % c, tx = at / c % (tw + 1), ty = at / c / (tw + 1) % (th + 1);
  const int image = at / c / (tw + 1) / (th + 1);
  const size_t step = (size_t)n * th * tw * c;
  const float* tile = gv + ((size_t)(image * th + ty) * tw + tx) * c + k;

  float block[4][4] = {};
  if (ty < th && tx < tw) add_tile<0, 0>(tile, step, block);
  if (ty < th && tx > 0) add_tile<0, 4>(tile - c, step, block);
  if (ty > 0 && tx < tw) add_tile<4, 0>(tile - (size_t)tw * c, step, block);
  if (ty > 0 && tx > 0) add_tile<4, 4>(tile - (size_t)tw * c - c, step, block);

  float* pixels = gx + (size_t)image * h * w * c + k;
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = 4 * ty + i - ph, pixel = 4 * tx + j - pw;
      const bool is_inside = 0 <= row && row < h && 0 <= pixel && pixel < w;
      if (is_inside) pixels[((size_t)row * w + pixel) * c] = block[i][j];
    }
}

// y: (n, oh, ow, c) of m: (36, tiles, c).
extern "C" __global__ void output_transform(
    int threads, const float* __restrict__ m, float* __restrict__ y,
    int oh, int ow, int c, int th, int tw) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = at % c, tile = at / c;
  const int top = 4 * (tile / tw % th), left = 4 * (tile % tw);
  float* image = y + (size_t)(tile / tw / th) * oh * ow * c + k;

  float t[4][6];
#pragma unroll
  for (int j = 0; j < 6; ++j) {
    float v[6], column[4];
#pragma unroll
    for (int i = 0; i < 6; ++i) v[i] = m[(size_t)(6 * i + j) * threads + at];
    a_t(v, column);
#pragma unroll
    for (int i = 0; i < 4; ++i) t[i][j] = column[i];
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    float line[4];
    a_t(t[i], line);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const bool is_inside = top + i < oh && left + j < ow;
      if (is_inside) image[((size_t)(top + i) * ow + left + j) * c] = line[j];
    }
  }
}

// gm: (36, tiles, c) of gy: (n, oh, ow, c).
extern "C" __global__ void output_transform_pullback(
    int threads, const float* __restrict__ gy, float* __restrict__ gm,
    int oh, int ow, int c, int th, int tw) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = at % c, tile = at / c;
  const int top = 4 * (tile / tw % th), left = 4 * (tile % tw);
  const float* image = gy + (size_t)(tile / tw / th) * oh * ow * c + k;

  float t[6][4];
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    float d[4], column[6];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool is_inside = top + i < oh && left + j < ow;
      d[i] = is_inside ? image[((size_t)(top + i) * ow + left + j) * c] : 0;
    }
    a(d, column);
#pragma unroll
    for (int i = 0; i < 6; ++i) t[i][j] = column[i];
  }
#pragma unroll
  for (int i = 0; i < 6; ++i) {
    float line[6];
    a(t[i], line);
#pragma unroll
    for (int j = 0; j < 6; ++j) gm[(size_t)(6 * i + j) * threads + at] = line[j];
  }
}

// u: (36, c, k) of the weight: (3, 3, c, k), times a gate of k, or null. A thread is one kernel: an
// input and an output channel.
extern "C" __global__ void weight_transform(
    int threads, const float* __restrict__ weight, const float* __restrict__ gate,
    float* __restrict__ u, int k) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const float z = gate ? gate[at % k] : 1;
  float t[6][3];
#pragma unroll
  for (int j = 0; j < 3; ++j) {
    float w[3], column[6];
#pragma unroll
    for (int i = 0; i < 3; ++i) w[i] = z * weight[(size_t)(3 * i + j) * threads + at];
    g(w, column);
#pragma unroll
    for (int i = 0; i < 6; ++i) t[i][j] = column[i];
  }
#pragma unroll
  for (int i = 0; i < 6; ++i) {
    float line[6];
    g(t[i], line);
#pragma unroll
    for (int j = 0; j < 6; ++j) u[(size_t)(6 * i + j) * threads + at] = line[j];
  }
}

// gweight: (3, 3, c, k) of gu: (36, c, k).
extern "C" __global__ void weight_transform_pullback(
    int threads, const float* __restrict__ gu, float* __restrict__ gweight) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  float t[3][6];
#pragma unroll
  for (int j = 0; j < 6; ++j) {
    float u[6], column[3];
#pragma unroll
    for (int i = 0; i < 6; ++i) u[i] = gu[(size_t)(6 * i + j) * threads + at];
    g_t(u, column);
#pragma unroll
    for (int i = 0; i < 3; ++i) t[i][j] = column[i];
  }
#pragma unroll
  for (int i = 0; i < 3; ++i) {
    float line[3];
    g_t(t[i], line);
#pragma unroll
    for (int j = 0; j < 3; ++j) gweight[(size_t)(3 * i + j) * threads + at] = line[j];
  }
}
