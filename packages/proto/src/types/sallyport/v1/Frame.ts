// Original file: proto/tunnel.proto

import type { OpenChannel as _sallyport_v1_OpenChannel, OpenChannel__Output as _sallyport_v1_OpenChannel__Output } from '../../sallyport/v1/OpenChannel.js';
import type { CloseChannel as _sallyport_v1_CloseChannel, CloseChannel__Output as _sallyport_v1_CloseChannel__Output } from '../../sallyport/v1/CloseChannel.js';

/**
 * One frame of one session. `channel` is chosen by the gateway and is unique within the stream.
 */
export interface Frame {
  'channel'?: (number);
  'data'?: (Buffer | Uint8Array | string);
  /**
   * bytes that the receiver has consumed
   */
  'credit'?: (number);
  /**
   * gateway to agent
   */
  'open'?: (_sallyport_v1_OpenChannel | null);
  /**
   * either way; the last frame of the channel in this direction
   */
  'close'?: (_sallyport_v1_CloseChannel | null);
  /**
   * half-close: no more data in this direction
   */
  'end'?: (boolean);
  /**
   * gateway to agent: the protocol's own out-of-band signal (PostgreSQL: cancel)
   */
  'signal'?: (Buffer | Uint8Array | string);
  'body'?: "data"|"credit"|"open"|"close"|"end"|"signal";
}

/**
 * One frame of one session. `channel` is chosen by the gateway and is unique within the stream.
 */
export interface Frame__Output {
  'channel': (number);
  'data'?: (Buffer);
  /**
   * bytes that the receiver has consumed
   */
  'credit'?: (number);
  /**
   * gateway to agent
   */
  'open'?: (_sallyport_v1_OpenChannel__Output | null);
  /**
   * either way; the last frame of the channel in this direction
   */
  'close'?: (_sallyport_v1_CloseChannel__Output | null);
  /**
   * half-close: no more data in this direction
   */
  'end'?: (boolean);
  /**
   * gateway to agent: the protocol's own out-of-band signal (PostgreSQL: cancel)
   */
  'signal'?: (Buffer);
  'body'?: "data"|"credit"|"open"|"close"|"end"|"signal";
}
