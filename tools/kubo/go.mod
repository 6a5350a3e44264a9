// The IPFS daemon that the tests run: `make kubo` builds it where there is Go and no ipfs on PATH.
module medtoken/tools/kubo

go 1.25

require github.com/ipfs/kubo v0.39.0
