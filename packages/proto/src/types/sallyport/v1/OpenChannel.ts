// Original file: proto/tunnel.proto


export interface OpenChannel {
  'sessionId'?: (string);
  /**
   * compact JWS
   */
  'grant'?: (string);
  /**
   * the protocol's start-up facts
   */
  'parameters'?: ({[key: string]: string});
}

export interface OpenChannel__Output {
  'sessionId': (string);
  /**
   * compact JWS
   */
  'grant': (string);
  /**
   * the protocol's start-up facts
   */
  'parameters': ({[key: string]: string});
}
