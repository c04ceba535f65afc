/** The colour of a state. The state's name always stands beside it. */
export const toneOf = (state: string): string => (state === 'approved' || state === 'allow' ? 'green' : state === 'rejected' || state === 'deny' ? 'red' : state === 'pending' || state === 'hold' ? 'yellow' : 'gray')
