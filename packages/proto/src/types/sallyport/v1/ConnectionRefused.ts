// Original file: proto/control.proto


/**
 * A client sent what can't be understood, and was cut off before anything was asked in anybody's name.
 */
export interface ConnectionRefused {
  'protocol'?: (string);
  'clientAddress'?: (string);
  'reason'?: (string);
}

/**
 * A client sent what can't be understood, and was cut off before anything was asked in anybody's name.
 */
export interface ConnectionRefused__Output {
  'protocol': (string);
  'clientAddress': (string);
  'reason': (string);
}
