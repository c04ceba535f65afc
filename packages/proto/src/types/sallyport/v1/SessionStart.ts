// Original file: proto/control.proto


export interface SessionStart {
  'protocol'?: (string);
  /**
   * as the client gave it: a target's name, <login>%<target>, or a JIT credential's user name
   */
  'user'?: (string);
  /**
   * e.g. database, application_name
   */
  'parameters'?: ({[key: string]: string});
  'clientAddress'?: (string);
  /**
   * RFC 5929 tls-server-end-point hash of the listener's certificate; empty without TLS
   */
  'serverEndPoint'?: (Buffer | Uint8Array | string);
  /**
   * the client has proven a key already: the next message is public_key, nothing is asked
   */
  'proofFollows'?: (boolean);
  /**
   * the client has shown a secret and can do nothing else (HTTP): a JIT credential is asked for by ask_password
   */
  'bearer'?: (boolean);
}

export interface SessionStart__Output {
  'protocol': (string);
  /**
   * as the client gave it: a target's name, <login>%<target>, or a JIT credential's user name
   */
  'user': (string);
  /**
   * e.g. database, application_name
   */
  'parameters': ({[key: string]: string});
  'clientAddress': (string);
  /**
   * RFC 5929 tls-server-end-point hash of the listener's certificate; empty without TLS
   */
  'serverEndPoint': (Buffer);
  /**
   * the client has proven a key already: the next message is public_key, nothing is asked
   */
  'proofFollows': (boolean);
  /**
   * the client has shown a secret and can do nothing else (HTTP): a JIT credential is asked for by ask_password
   */
  'bearer': (boolean);
}
