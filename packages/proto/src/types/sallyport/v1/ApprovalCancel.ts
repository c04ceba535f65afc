// Original file: proto/tunnel.proto


export interface ApprovalCancel {
  'sessionId'?: (string);
  'commandId'?: (string);
  'reason'?: (string);
}

export interface ApprovalCancel__Output {
  'sessionId': (string);
  'commandId': (string);
  'reason': (string);
}
