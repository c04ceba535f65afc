// Original file: proto/tunnel.proto

import type { Frame as _sallyport_v1_Frame, Frame__Output as _sallyport_v1_Frame__Output } from '../../sallyport/v1/Frame.js';

export interface FrameBatch {
  'frames'?: (_sallyport_v1_Frame)[];
}

export interface FrameBatch__Output {
  'frames': (_sallyport_v1_Frame__Output)[];
}
