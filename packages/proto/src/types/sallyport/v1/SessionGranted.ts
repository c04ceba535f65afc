// Original file: proto/control.proto

import type { Long } from '@grpc/proto-loader';

export interface SessionGranted {
  'sessionId'?: (string);
  /**
   * connected to this gateway
   */
  'agentId'?: (string);
  /**
   * compact JWS, typ grant+jwt
   */
  'grant'?: (string);
  'saslFinal'?: (Buffer | Uint8Array | string);
  /**
   * NumericDate at which the token or credential expires: what proves an identity once more must be younger
   */
  'proofExpires'?: (number | string | Long);
}

export interface SessionGranted__Output {
  'sessionId': (string);
  /**
   * connected to this gateway
   */
  'agentId': (string);
  /**
   * compact JWS, typ grant+jwt
   */
  'grant': (string);
  'saslFinal': (Buffer);
  /**
   * NumericDate at which the token or credential expires: what proves an identity once more must be younger
   */
  'proofExpires': (number);
}
