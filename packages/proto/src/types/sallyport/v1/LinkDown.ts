// Original file: proto/control.proto


export interface LinkDown {
  'agentId'?: (string);
  /**
   * compact JWS: ack+jwt, approval+jwt, lease+jwt, grant+jwt (update), kill+jwt, held+jwt
   */
  'jws'?: (Buffer | Uint8Array | string);
}

export interface LinkDown__Output {
  'agentId': (string);
  /**
   * compact JWS: ack+jwt, approval+jwt, lease+jwt, grant+jwt (update), kill+jwt, held+jwt
   */
  'jws': (Buffer);
}
