// Original file: proto/control.proto


export interface EnrolReply {
  'nodeId'?: (string);
  'name'?: (string);
  /**
   * DER
   */
  'certificate'?: (Buffer | Uint8Array | string);
  /**
   * UTF-8 JSON {ca: PEM, keys: [JWK …]}; its SHA-256 is the fingerprint in the token
   */
  'trustBundle'?: (Buffer | Uint8Array | string);
}

export interface EnrolReply__Output {
  'nodeId': (string);
  'name': (string);
  /**
   * DER
   */
  'certificate': (Buffer);
  /**
   * UTF-8 JSON {ca: PEM, keys: [JWK …]}; its SHA-256 is the fingerprint in the token
   */
  'trustBundle': (Buffer);
}
