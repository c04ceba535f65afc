export { clusterFiles, type ClusterFiles } from './files.js'
export { DemoCluster, type DemoClusterOptions, type SeenRequest } from './server.js'
