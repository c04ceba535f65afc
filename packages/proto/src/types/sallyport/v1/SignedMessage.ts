// Original file: proto/tunnel.proto


/**
 * A message of an agent to the control plane: signature is ECDSA P-256/SHA-256 (IEEE P1363, 64 bytes) by the
 * agent's enrolled key over "sallyport-link-v1\0" + payload. payload is a serialized AgentMessage.
 */
export interface SignedMessage {
  'payload'?: (Buffer | Uint8Array | string);
  'signature'?: (Buffer | Uint8Array | string);
}

/**
 * A message of an agent to the control plane: signature is ECDSA P-256/SHA-256 (IEEE P1363, 64 bytes) by the
 * agent's enrolled key over "sallyport-link-v1\0" + payload. payload is a serialized AgentMessage.
 */
export interface SignedMessage__Output {
  'payload': (Buffer);
  'signature': (Buffer);
}
