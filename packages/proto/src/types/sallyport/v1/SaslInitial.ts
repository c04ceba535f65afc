// Original file: proto/control.proto


export interface SaslInitial {
  'mechanism'?: (string);
  'response'?: (Buffer | Uint8Array | string);
}

export interface SaslInitial__Output {
  'mechanism': (string);
  'response': (Buffer);
}
