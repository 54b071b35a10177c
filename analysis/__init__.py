"""The laboratory: recordings and analyses of the rodent's network and behaviour."""
