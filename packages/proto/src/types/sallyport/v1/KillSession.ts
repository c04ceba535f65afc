// Original file: proto/control.proto


export interface KillSession {
  'sessionId'?: (string);
  'reason'?: (string);
}

export interface KillSession__Output {
  'sessionId': (string);
  'reason': (string);
}
