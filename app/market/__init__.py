"""The vocabulary of markets: pure, frozen values and the rules between them."""
