// Original file: proto/control.proto


export interface SessionRefused {
  /**
   * stable: AUTHENTICATION_FAILED, EXCHANGE_REQUIRED, TARGET_UNKNOWN, NO_AGENT, POLICY_DENIED, LOCKED, UNAVAILABLE …
   */
  'code'?: (string);
  'message'?: (string);
  'hint'?: (string);
}

export interface SessionRefused__Output {
  /**
   * stable: AUTHENTICATION_FAILED, EXCHANGE_REQUIRED, TARGET_UNKNOWN, NO_AGENT, POLICY_DENIED, LOCKED, UNAVAILABLE …
   */
  'code': (string);
  'message': (string);
  'hint': (string);
}
