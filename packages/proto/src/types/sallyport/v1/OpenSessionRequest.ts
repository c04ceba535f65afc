// Original file: proto/control.proto

import type { SessionStart as _sallyport_v1_SessionStart, SessionStart__Output as _sallyport_v1_SessionStart__Output } from '../../sallyport/v1/SessionStart.js';
import type { SaslInitial as _sallyport_v1_SaslInitial, SaslInitial__Output as _sallyport_v1_SaslInitial__Output } from '../../sallyport/v1/SaslInitial.js';
import type { PublicKeyProof as _sallyport_v1_PublicKeyProof, PublicKeyProof__Output as _sallyport_v1_PublicKeyProof__Output } from '../../sallyport/v1/PublicKeyProof.js';

export interface OpenSessionRequest {
  'start'?: (_sallyport_v1_SessionStart | null);
  /**
   * UTF-8, only after ask_password
   */
  'password'?: (Buffer | Uint8Array | string);
  'saslInitial'?: (_sallyport_v1_SaslInitial | null);
  'saslResponse'?: (Buffer | Uint8Array | string);
  /**
   * only after a start with proof_follows
   */
  'publicKey'?: (_sallyport_v1_PublicKeyProof | null);
  'kind'?: "start"|"password"|"saslInitial"|"saslResponse"|"publicKey";
}

export interface OpenSessionRequest__Output {
  'start'?: (_sallyport_v1_SessionStart__Output | null);
  /**
   * UTF-8, only after ask_password
   */
  'password'?: (Buffer);
  'saslInitial'?: (_sallyport_v1_SaslInitial__Output | null);
  'saslResponse'?: (Buffer);
  /**
   * only after a start with proof_follows
   */
  'publicKey'?: (_sallyport_v1_PublicKeyProof__Output | null);
  'kind'?: "start"|"password"|"saslInitial"|"saslResponse"|"publicKey";
}
