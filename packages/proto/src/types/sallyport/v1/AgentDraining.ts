// Original file: proto/tunnel.proto


export interface AgentDraining {
}

export interface AgentDraining__Output {
}
