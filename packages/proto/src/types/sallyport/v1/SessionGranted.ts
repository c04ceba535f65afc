// Original file: proto/control.proto


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
}
