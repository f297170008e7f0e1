// Windows as the rows of a matrix (autograd/conv/gather.py).
//
// The kw pixels that a window reads of one line of an image lie side by side, as they do in its
// row of the matrix: kw * c numbers are copied from one to the other.

// rows: (n oh ow, kh kw c) of images x: (n, h, w, c). A thread is one column of the matrix, for all
// windows of one line of outputs.
extern "C" __global__ void gather_rows(
    int threads, const float* __restrict__ x, float* __restrict__ rows,
    int h, int w, int c, int kh, int kw, int sh, int sw, int ph, int pw, int oh, int ow) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int columns = kh * kw * c, column = at % columns, line = at / columns;
  const int y = line % oh * sh - ph + column / (kw * c);
  const bool is_inside = 0 <= y && y < h;
  const float* pixels = x + ((size_t)(line / oh) * h + (is_inside ? y : 0)) * w * c;
  float* row = rows + (size_t)line * ow * columns + column;
  for (int q = 0; q < ow; ++q) {
    const int from = (q * sw - pw) * c + column % (kw * c);
    row[(size_t)q * columns] = is_inside && 0 <= from && from < w * c ? pixels[from] : 0;
  }
}

// gx: (n, h, w, c) of grows: (n oh ow, kh kw c). A thread is one channel of a pixel, and collects
// from all windows (p, q) that read it: those with 0 <= y + ph - p sh < kh, and so across.
extern "C" __global__ void scatter_rows(
    int threads, const float* __restrict__ grows, float* __restrict__ gx,
    int h, int w, int c, int kh, int kw, int sh, int sw, int ph, int pw, int oh, int ow) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const int k = at % c, x = at / c % w + pw, y = at / c / w % h + ph, image = at / c / w / h;
  const int first_p = y < kh ? 0 : (y - kh) / sh + 1, last_p = min(y / sh, oh - 1);
  const int first_q = x < kw ? 0 : (x - kw) / sw + 1, last_q = min(x / sw, ow - 1);
  float sum = 0;
  for (int p = first_p; p <= last_p; ++p)
    for (int q = first_q; q <= last_q; ++q) {
      const int i = y - p * sh, j = x - q * sw;
      const size_t window = (size_t)(image * oh + p) * ow + q;
      sum += grows[((window * kh + i) * kw + j) * c + k];
    }
  gx[at] = sum;
}
