// Original file: proto/tunnel.proto


export interface CloseChannel {
  /**
   * empty: a normal end
   */
  'code'?: (string);
  'message'?: (string);
  'hint'?: (string);
}

export interface CloseChannel__Output {
  /**
   * empty: a normal end
   */
  'code': (string);
  'message': (string);
  'hint': (string);
}
