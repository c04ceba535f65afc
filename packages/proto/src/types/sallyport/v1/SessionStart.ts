// Original file: proto/control.proto


export interface SessionStart {
  'protocol'?: (string);
  /**
   * as the client gave it: a target's name, or a JIT credential's user name
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
}

export interface SessionStart__Output {
  'protocol': (string);
  /**
   * as the client gave it: a target's name, or a JIT credential's user name
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
}
