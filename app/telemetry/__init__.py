"""What a running server tells of itself: metrics today."""
