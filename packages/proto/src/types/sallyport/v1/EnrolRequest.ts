// Original file: proto/control.proto


export interface EnrolRequest {
  'tokenId'?: (string);
  /**
   * DER PKCS#10 with the node's P-256 public key
   */
  'csr'?: (Buffer | Uint8Array | string);
  /**
   * HMAC-SHA-256 keyed with SHA-256(token secret) over csr
   */
  'proof'?: (Buffer | Uint8Array | string);
}

export interface EnrolRequest__Output {
  'tokenId': (string);
  /**
   * DER PKCS#10 with the node's P-256 public key
   */
  'csr': (Buffer);
  /**
   * HMAC-SHA-256 keyed with SHA-256(token secret) over csr
   */
  'proof': (Buffer);
}
