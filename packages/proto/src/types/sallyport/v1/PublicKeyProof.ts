// Original file: proto/control.proto


/**
 * What a client signed to prove that it holds a private key. The gateway can't use it a second time.
 */
export interface PublicKeyProof {
  /**
   * as signed: ssh-ed25519, rsa-sha2-512, ecdsa-sha2-nistp256 …; for certificates the certificate's key algorithm
   */
  'algorithm'?: (string);
  /**
   * public key (RFC 4253, section 6.6) or certificate (PROTOCOL.certkeys) blob
   */
  'key'?: (Buffer | Uint8Array | string);
  /**
   * signature blob (RFC 4253, section 6.6)
   */
  'signature'?: (Buffer | Uint8Array | string);
  /**
   * RFC 4252, section 7: session id, then the request
   */
  'signedData'?: (Buffer | Uint8Array | string);
}

/**
 * What a client signed to prove that it holds a private key. The gateway can't use it a second time.
 */
export interface PublicKeyProof__Output {
  /**
   * as signed: ssh-ed25519, rsa-sha2-512, ecdsa-sha2-nistp256 …; for certificates the certificate's key algorithm
   */
  'algorithm': (string);
  /**
   * public key (RFC 4253, section 6.6) or certificate (PROTOCOL.certkeys) blob
   */
  'key': (Buffer);
  /**
   * signature blob (RFC 4253, section 6.6)
   */
  'signature': (Buffer);
  /**
   * RFC 4252, section 7: session id, then the request
   */
  'signedData': (Buffer);
}
