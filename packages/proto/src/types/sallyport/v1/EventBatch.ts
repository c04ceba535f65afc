// Original file: proto/tunnel.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Records of the agent's spool, in order. `records` are the spooled JSON texts, byte for byte.
 */
export interface EventBatch {
  /**
   * seq of records[0]; each next one is +1
   */
  'firstSeq'?: (number | string | Long);
  'records'?: (Buffer | Uint8Array | string)[];
}

/**
 * Records of the agent's spool, in order. `records` are the spooled JSON texts, byte for byte.
 */
export interface EventBatch__Output {
  /**
   * seq of records[0]; each next one is +1
   */
  'firstSeq': (number);
  'records': (Buffer)[];
}
