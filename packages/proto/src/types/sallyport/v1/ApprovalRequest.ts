// Original file: proto/tunnel.proto


export interface ApprovalRequest {
  'sessionId'?: (string);
  'commandId'?: (string);
  /**
   * hex SHA-256 of the canonical command, see kit's commandDigest
   */
  'digest'?: (string);
  /**
   * JSON: text, parameters, effects, facts shown to reviewers
   */
  'commandJson'?: (string);
  /**
   * JSON: Hold of @sallyport/policy
   */
  'holdJson'?: (string);
}

export interface ApprovalRequest__Output {
  'sessionId': (string);
  'commandId': (string);
  /**
   * hex SHA-256 of the canonical command, see kit's commandDigest
   */
  'digest': (string);
  /**
   * JSON: text, parameters, effects, facts shown to reviewers
   */
  'commandJson': (string);
  /**
   * JSON: Hold of @sallyport/policy
   */
  'holdJson': (string);
}
