// Original file: proto/control.proto


export interface SessionClosed {
  'sessionId'?: (string);
  'reason'?: (string);
}

export interface SessionClosed__Output {
  'sessionId': (string);
  'reason': (string);
}
