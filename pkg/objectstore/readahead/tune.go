package readahead

var tAlpha, tLeast, tPiece, tBase, tShare = 1.0, 3.0, 4.0, 1000.0, 0.035

var tBatch = 1.0
