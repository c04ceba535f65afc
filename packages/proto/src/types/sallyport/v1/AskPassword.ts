// Original file: proto/control.proto


export interface AskPassword {
}

export interface AskPassword__Output {
}
