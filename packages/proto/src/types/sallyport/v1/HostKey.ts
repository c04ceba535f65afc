// Original file: proto/control.proto


/**
 * By which clients of a protocol recognise this gateway.
 */
export interface HostKey {
  'protocol'?: (string);
  /**
   * as in authorized_keys: "ssh-ed25519 AAAA…"
   */
  'publicKey'?: (string);
  /**
   * host:port under which clients reach this listener; empty when the gateway doesn't know
   */
  'address'?: (string);
}

/**
 * By which clients of a protocol recognise this gateway.
 */
export interface HostKey__Output {
  'protocol': (string);
  /**
   * as in authorized_keys: "ssh-ed25519 AAAA…"
   */
  'publicKey': (string);
  /**
   * host:port under which clients reach this listener; empty when the gateway doesn't know
   */
  'address': (string);
}
