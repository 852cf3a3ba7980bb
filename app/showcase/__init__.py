"""What buyers see of group buying: campaigns on sale, groups that wait, the home page's places."""
