// Original file: proto/control.proto


export interface AskSasl {
  'mechanisms'?: (string)[];
}

export interface AskSasl__Output {
  'mechanisms': (string)[];
}
